import type WebSocket from "ws";

/** What a call needs of its media connection; tests use a fake. */
export interface MediaSocket {
  /** Bytes accepted for sending that the peer has not read yet. */
  readonly bufferedAmount: number;
  send(data: Buffer | string): void;
  close(code: number, reason: string): void;
  terminate(): void;
  /** Neither reads nor sends until `frozen` is false again: a peer that is there and does nothing. */
  freeze(frozen: boolean): void;
}

/** Wraps a `ws` socket: errors and sends on a closing socket are ignored, since `close` follows anyway. */
export function mediaSocketOf(socket: WebSocket): MediaSocket {
  let frozen = false;
  return {
    get bufferedAmount() {
      return socket.bufferedAmount;
    },
    send(data) {
      if (socket.readyState === socket.OPEN && !frozen)
        socket.send(data, { binary: typeof data !== "string" });
    },
    close(code, reason) {
      socket.close(code, reason);
    },
    terminate() {
      socket.terminate();
    },
    freeze(freeze) {
      frozen = freeze;
      if (freeze) socket.pause();
      else socket.resume();
    },
  };
}
