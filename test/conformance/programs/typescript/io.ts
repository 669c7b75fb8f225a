import { CallweaveError } from "callweave";

/** Prints a line. */
export const print = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

/** Something the program was told that it does not know. */
export class ProgramError extends Error {}

/** An error as the protocol writes it. */
export function told(error: unknown): { reason: string; message: string; metadata: object } {
  if (error instanceof ProgramError) return { reason: "PROGRAM", message: error.message, metadata: {} };
  const { reason, message, metadata } = CallweaveError.from(error);
  return { reason, message, metadata };
}

/** Lets something run; what it is rejected with is reported. */
export function inBackground(work: Promise<unknown>, call?: string): void {
  work.catch((error) => print({ event: "error", ...told(error), ...(call ? { call } : {}) }));
}
