import type WebSocket from "ws";

/** What a call needs of its media connection; tests use a fake. */
export interface MediaSocket {
  /** Bytes accepted for sending that the peer has not read yet. */
  readonly bufferedAmount: number;
  send(data: Buffer | string): void;
  close(code: number, reason: string): void;
  terminate(): void;
}

/** Wraps a `ws` socket: errors and sends on a closing socket are ignored, since `close` follows anyway. */
export function mediaSocketOf(socket: WebSocket): MediaSocket {
  return {
    get bufferedAmount() {
      return socket.bufferedAmount;
    },
    send(data) {
      if (socket.readyState === socket.OPEN) socket.send(data, { binary: typeof data !== "string" });
    },
    close(code, reason) {
      socket.close(code, reason);
    },
    terminate() {
      socket.terminate();
    },
  };
}
