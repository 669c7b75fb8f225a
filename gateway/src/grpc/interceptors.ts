import { ServerInterceptingCall, type ServerInterceptor, status } from "@grpc/grpc-js";
import type { Authenticator } from "../contract/authenticator.js";
import { permissionDenied } from "../contract/authorization.js";
import { rpcName, ruleOf } from "../contract/rules.js";
import { HEALTH_PATH } from "./health.js";
import type { EdgeLogger } from "./options.js";
import { REFLECTION_PATH } from "./reflection.js";
import { toServiceError } from "./status.js";

/**
 * What holds for every RPC: messages come plain or with gzip, nothing else, and the response says so; reflection, whose
 * handlers are not ours, needs a credential; an RPC without a rule is refused.
 */
export function edgeInterceptor(authenticator: Authenticator, logger: EdgeLogger): ServerInterceptor {
  return (method, call) =>
    new ServerInterceptingCall(call, {
      start: (next) => {
        const encoding = encodingOf(call);
        next({
          onReceiveMetadata: (metadata, proceed) => {
            if (encoding !== "identity" && encoding !== "gzip") {
              const details = `messages must be plain or gzip, not ${encoding.slice(0, 20)}`;
              call.sendStatus({ code: status.UNIMPLEMENTED, details });
              return;
            }
            const refuse = (error: unknown) => {
              const { code, details, metadata: trailers } = toServiceError(error, logger, method.path);
              call.sendStatus({ code, details, metadata: trailers });
            };
            if (REFLECTION_PATH.test(method.path)) {
              const { sslPeerCertificate } = call.getAuthContext();
              authenticator
                .authenticate(metadata.get("authorization"), call.getPeer(), sslPeerCertificate)
                .then(() => proceed(metadata), refuse);
            } else if (HEALTH_PATH.test(method.path) || ruleOf(rpcName(method.path))) {
              proceed(metadata);
            } else {
              // Closed for an RPC that nobody thought of.
              refuse(permissionDenied(rpcName(method.path), "none"));
            }
          },
        });
      },
      sendMetadata: (metadata, next) => {
        metadata.set("grpc-accept-encoding", "identity,gzip");
        next(metadata);
      },
    });
}

/** grpc-js takes the header out of the metadata before interceptors see it and keeps it on the call. */
function encodingOf(call: object): string {
  const encoding: unknown = Reflect.get(call, "incomingEncoding");
  return typeof encoding === "string" ? encoding : "identity";
}
