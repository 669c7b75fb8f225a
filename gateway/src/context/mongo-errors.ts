import { BSON, MongoInvalidArgumentError, MongoServerError } from "mongodb";
import { ContextStoreAway, ContextStoreRefused } from "./context-store.js";

/** Codes of a server that does not take a document, whenever it is sent. */
const REFUSED: ReadonlySet<number> = new Set([
  2, // BadValue
  9, // FailedToParse
  14, // TypeMismatch
  15, // Overflow
  52, // DollarPrefixedFieldName
  55, // InvalidDBRef
  56, // EmptyFieldName
  57, // DottedFieldName
  121, // DocumentValidationFailure
  10334, // BSONObjectTooLarge
  17419, // the same, of an update
  17420, // the same, of an update with an operator
]);
/** Codes of a server that does not let us. */
const CREDENTIALS: ReadonlySet<number> = new Set([
  13, // Unauthorized
  18, // AuthenticationFailed
  31, // RoleNotFound
  8000, // AtlasError: what Atlas says of wrong credentials
]);

/** The code of a duplicate key. */
export const DUPLICATE_KEY = 11_000;

/**
 * What the driver threw, as the store says it: refused is what would be refused again, everything else may pass. Holds
 * names and codes alone: messages of the driver may quote addresses, and documents.
 */
export function fromMongoError(error: unknown): ContextStoreAway | ContextStoreRefused {
  if (error instanceof ContextStoreAway || error instanceof ContextStoreRefused) return error;
  const name = error instanceof Error ? error.name : "an unknown error";
  const code = error instanceof MongoServerError && typeof error.code === "number" ? error.code : undefined;
  const what = code === undefined ? name : `${name} ${code}`;
  if (error instanceof BSON.BSONError || error instanceof MongoInvalidArgumentError)
    return new ContextStoreRefused(`it cannot be stored (${what})`);
  if (code !== undefined && REFUSED.has(code))
    return new ContextStoreRefused(`the database refuses it (${what})`);
  if (isAboutCredentials(error))
    return new ContextStoreAway(`the database refuses user, password or rights (${what})`, "credentials");
  return new ContextStoreAway(`the database is away (${what})`);
}

/** Also where a connection that could not sign in is wrapped by the search for a server. */
function isAboutCredentials(error: unknown): boolean {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++)
    if (at instanceof MongoServerError && typeof at.code === "number" && CREDENTIALS.has(at.code))
      return true;
  return false;
}
