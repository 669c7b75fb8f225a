/** What a process of the bench can be asked; each answers with something JSON can carry. */
export type Handlers = { readonly [command: string]: (argument: never) => unknown };

/** A question of the main process. */
export interface Question {
  readonly id: number;
  readonly command: string;
  readonly argument: unknown;
}

/** An answer, or the first message of a process: that it is ready. */
export type Reply =
  | { readonly ready: unknown }
  | { readonly id: number; readonly result?: unknown; readonly error?: string };

/** Answers the main process until it goes away, then ends this process. Tells that it is ready, with `ready`. */
export function answerMain(handlers: Handlers, ready: unknown): void {
  if (!process.send) throw new Error("this program is started by bench/main.ts");
  process.on("message", (question: Question) => void answer(handlers, question));
  process.on("disconnect", () => process.exit(0));
  process.send({ ready } satisfies Reply);
}

/** Answers one question. */
export async function answer(handlers: Handlers, { id, command, argument }: Question): Promise<void> {
  let reply: Reply;
  try {
    const handler = handlers[command];
    if (!handler) throw new Error(`no such command: ${command}`);
    reply = { id, result: await handler(argument as never) };
  } catch (error) {
    reply = { id, error: error instanceof Error ? error.message : String(error) };
  }
  process.send?.(reply);
}
