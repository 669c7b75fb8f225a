// A desk program that opens the record of a call by gRPC: node examples/existing-desk/grpc-screen-pop.mjs +15550101
// Contexts come as they are written. What was written while the stream was down is asked for once it is up again.
import { credentials, loadPackageDefinition, Metadata } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const { CALLWEAVE_ADDRESS = "127.0.0.1:7070", CALLWEAVE_KEY, PROTO = "proto" } = process.env;
const [myNumber] = process.argv.slice(2);
const files = loadSync("callweave/v1/context_service.proto", { includeDirs: [PROTO], enums: String });
const { ContextService } = loadPackageDefinition(files).callweave.v1;
const contexts = new ContextService(CALLWEAVE_ADDRESS, credentials.createInsecure()); // createSsl() elsewhere
const metadata = new Metadata();
if (CALLWEAVE_KEY) metadata.set("authorization", `Bearer ${CALLWEAVE_KEY}`);

const opened = new Set();
function written({ callId, caller, callee, status, summary }) {
  if (callee !== myNumber || status !== "CONTEXT_STATUS_ESCALATING" || opened.has(callId)) return;
  opened.add(callId);
  console.log(JSON.stringify({ callId, caller, summary }));
}

function follow() {
  const stream = contexts.watchContexts({}, metadata);
  stream.on("data", ({ context }) => written(context));
  stream.on("error", ({ code, details }) => console.error(code, details));
  stream.on("close", () => setTimeout(follow, 1_000));
  contexts.listContexts({ statuses: ["CONTEXT_STATUS_ESCALATING"] }, metadata, (error, found) => {
    if (!error) console.log("ready");
    for (const context of found?.contexts ?? []) written(context);
  });
}
follow();
