/** A person of the desk, as the gateway is configured. */
export interface DeskPerson {
  readonly name: string;
  /** E.164. */
  readonly numbers: readonly string[];
  readonly pools: readonly string[];
}

/** Who this browser is. */
export interface Me {
  /** The name of the key; "local" without keys. */
  readonly name: string;
  readonly tenant: string;
  /** What the key allows, as the gateway names it: "listen", "transfer". The gateway asks again at each request. */
  readonly scopes?: readonly string[];
  /** Everybody who works at this desk. */
  readonly users: readonly DeskPerson[];
  /** Whether the gateway asks for keys at all. */
  readonly keys: boolean;
}

/** Why the gateway said no. */
export class SignInError extends Error {
  override readonly name = "SignInError";
  constructor(
    readonly status: number,
    readonly reason: string,
    message: string,
  ) {
    super(message);
  }
}

async function post(path: string, body: object): Promise<unknown> {
  const response = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    credentials: "same-origin",
    cache: "no-store",
    signal: AbortSignal.timeout(10_000),
  });
  const answer = (await response.json().catch(() => ({}))) as {
    error?: { reason?: string; message?: string };
  };
  if (!response.ok) {
    const { reason = "", message = response.statusText } = answer.error ?? {};
    throw new SignInError(response.status, reason, message);
  }
  return answer;
}

/** Gives the key to the gateway, which keeps it in a cookie that no script can read. Rejects with SignInError. */
export async function signIn(key: string): Promise<Me> {
  return (await post("/api/login", { key })) as Me;
}

/** Forgets the key. */
export async function signOut(): Promise<void> {
  await post("/api/logout", {});
}

/** A ticket for one WebSocket, and who this browser is. Rejects with SignInError, or TypeError without a network. */
export async function ticket(): Promise<{ readonly ticket: string; readonly me: Me }> {
  return (await post("/api/ticket", {})) as { ticket: string; me: Me };
}
