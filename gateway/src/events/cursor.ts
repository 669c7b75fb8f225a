import { invalidField } from "../call/call-error.js";

/** A position in a store. */
export interface Position {
  /** 16 hexadecimal digits. */
  readonly storeId: string;
  /** 0: before the first. */
  readonly sequence: number;
}

const BYTES = 16;

/** The opaque form that clients get: base64url of store id and sequence. */
export function encodeCursor({ storeId, sequence }: Position): string {
  const bytes = Buffer.alloc(BYTES);
  bytes.write(storeId, 0, 8, "hex");
  bytes.writeBigUInt64BE(BigInt(sequence), 8);
  return bytes.toString("base64url");
}

/** The position of a cursor. Throws INVALID_FIELD for anything that no store made. */
export function decodeCursor(cursor: string): Position {
  const bytes = Buffer.from(cursor, "base64url");
  const wrong = () => invalidField("cursor", "a cursor that a gateway gave", cursor);
  if (bytes.length !== BYTES || bytes.toString("base64url") !== cursor) throw wrong();
  const sequence = Number(bytes.readBigUInt64BE(8));
  if (!Number.isSafeInteger(sequence)) throw wrong();
  return { storeId: bytes.toString("hex", 0, 8), sequence };
}
