import { ServerInterceptingCall, type ServerInterceptor, status } from "@grpc/grpc-js";
import type { Authenticator } from "../contract/authenticator.js";
import type { EdgeLogger } from "./options.js";
import { REFLECTION_PATH } from "./reflection.js";
import { toServiceError } from "./status.js";

/**
 * What holds for every RPC: messages come plain or with gzip, nothing else, and the response says so; reflection, whose
 * handlers are not ours, needs a credential.
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
            if (REFLECTION_PATH.test(method.path)) {
              try {
                authenticator.authenticate(metadata.get("authorization"), call.getPeer());
              } catch (error) {
                const { code, details, metadata: trailers } = toServiceError(error, logger, method.path);
                call.sendStatus({ code, details, metadata: trailers });
                return;
              }
            }
            proceed(metadata);
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
