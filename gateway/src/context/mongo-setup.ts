import type { Collection, Db, IndexDescription } from "mongodb";
import type { ContextDocument } from "./mongo-document.js";

/** The indexes of the collection. */
export const CONTEXT_INDEXES: readonly (IndexDescription & { readonly name: string })[] = [
  { name: "caller", key: { tenant: 1, caller: 1, create_time: -1, call_id: -1 } },
  { name: "callee", key: { tenant: 1, callee: 1, create_time: -1, call_id: -1 } },
  { name: "status", key: { tenant: 1, status: 1, create_time: -1, call_id: -1 } },
  { name: "time", key: { tenant: 1, create_time: -1, call_id: -1 } },
  { name: "session", key: { tenant: 1, session_id: 1 } },
  { name: "expiry", key: { expire_time: 1 }, expireAfterSeconds: 0 },
];

const text = { bsonType: "string" };
const time = { bsonType: "date" };
const count = { bsonType: ["int", "long", "double"], minimum: 0 };

/** What every document has to be, for servers that check it. */
export const CONTEXT_SCHEMA = {
  bsonType: "object",
  required: [
    ...[
      "_id",
      "v",
      "hash",
      "tenant",
      "call_id",
      "session_id",
      "caller",
      "callee",
      "status",
      "summary",
      "turns",
    ],
    ...["turn_count", "data", "notes", "outcome", "revision", "create_time", "update_time", "expire_time"],
  ],
  properties: {
    v: { ...count, minimum: 1 },
    hash: text,
    tenant: text,
    call_id: text,
    session_id: text,
    caller: text,
    callee: text,
    status: { enum: ["ACTIVE", "ESCALATING", "HANDED_OVER", "CALLBACK_WANTED", "ABANDONED", "ENDED"] },
    summary: text,
    turns: {
      bsonType: "array",
      items: { bsonType: "object", required: ["id", "role", "text", "time"], properties: { time } },
    },
    turn_count: count,
    data: { bsonType: "object" },
    notes: { bsonType: "array" },
    outcome: text,
    revision: { ...count, minimum: 1 },
    create_time: time,
    update_time: time,
    expire_time: time,
    conflicts: { bsonType: "array" },
  },
} as const;

/**
 * Makes the collection with its validator, and the indexes; what is there already stays. Answers what the server cannot
 * do. Rejects as the driver does when the server is away or does not let us.
 */
export async function setUpCollection(
  db: Db,
  collection: Collection<ContextDocument>,
): Promise<{ readonly withoutValidator?: unknown }> {
  const withoutValidator = await setValidator(db, collection.collectionName);
  await collection.createIndexes([...CONTEXT_INDEXES]);
  return withoutValidator === undefined ? {} : { withoutValidator };
}

async function setValidator(db: Db, name: string): Promise<unknown> {
  const validator = { $jsonSchema: CONTEXT_SCHEMA };
  const existing = await db.listCollections({ name }, { nameOnly: true }).toArray();
  try {
    if (existing.length === 0) await db.createCollection(name, { validator });
    else await db.command({ collMod: name, validator });
    return undefined;
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    // Another gateway made it in this moment.
    if (code === 48) return undefined;
    if (typeof code !== "number") throw error;
    return error;
  }
}
