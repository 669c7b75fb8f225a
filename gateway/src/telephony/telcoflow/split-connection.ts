import { isIP, type NetConnectOpts, connect as netConnect, type Socket } from "node:net";
import { type ConnectionOptions as TlsOptions, connect as tlsConnect } from "node:tls";
import type { ClientOptions } from "ws";
import { FrameSplitter } from "./frame-splitter.js";
import { KeptView } from "./kept-view.js";

/** Options of SplitConnection. */
export interface SplitConnectionOptions {
  /** TLS. */
  readonly secure: boolean;
  readonly maxPayloadBytes: number;
  /** Whether messages may be taken at all: the WebSocket is open and has not failed. */
  readonly takes: () => boolean;
  /** The payload of a binary message is at `start` to `end` of `bytes`, until this returns. */
  readonly onBinary: (bytes: Buffer, start: number, end: number) => void;
}

/** What is read at a time at most, by all connections in turn: what came in is taken or copied before the next is read. */
const READ_BYTES = 65_536;
let readBuffer: Buffer | undefined;
const readView = new KeptView<Buffer>();

/**
 * The connection below a WebSocket of ours. Whole binary messages are handed over as they are read (FrameSplitter), everything else
 * goes the way of all streams to the WebSocket, and the order of both is kept. docs/adr/0017 says why.
 */
export class SplitConnection {
  private socket: Socket | undefined;
  private readonly splitter: FrameSplitter;

  constructor(private readonly options: SplitConnectionOptions) {
    this.splitter = new FrameSplitter(options.maxPayloadBytes, {
      takesBinary: () => this.nothingWaits() && options.takes(),
      onBinary: options.onBinary,
      onRest: (bytes) => {
        // A copy: the stream may keep it, the next read overwrites what was read.
        this.socket?.push(Buffer.from(bytes));
      },
    });
  }

  /** For `createConnection` of the WebSocket; once. */
  readonly open: NonNullable<ClientOptions["createConnection"]> = (wanted) => {
    readBuffer ??= Buffer.allocUnsafeSlow(READ_BYTES);
    const onread = {
      buffer: readBuffer,
      callback: (n: number, bytes: Uint8Array) => this.received(n, bytes),
    };
    const asked = wanted as unknown as TlsOptions;
    const { host } = asked;
    // As ws does it without this: the path is that of the request, not of a socket in the file system.
    const options = { ...asked, path: undefined, onread };
    const servername = host !== undefined && isIP(host) === 0 ? host : "";
    this.socket = this.options.secure
      ? tlsConnect({ servername, ...options } as TlsOptions)
      : netConnect(options as unknown as NetConnectOpts);
    return this.socket;
  };

  /** Bytes that wait to be sent. */
  get waitingBytes(): number {
    return this.socket?.writableLength ?? 0;
  }

  /** Sends the frame of a whole message, behind all that the WebSocket sent. `sent` is called when the network has taken it. */
  write(frame: Buffer, sent?: () => void): void {
    this.socket?.write(frame, sent);
  }

  /** False pauses reading, until the stream is read from again. */
  private received(n: number, bytes: Uint8Array): boolean {
    this.splitter.push(readView.of(bytes as Buffer, 0, n));
    const { socket } = this;
    return socket !== undefined && socket.readableLength < socket.readableHighWaterMark;
  }

  /** Nothing that was read before waits for the WebSocket. */
  private nothingWaits(): boolean {
    const { socket } = this;
    return socket !== undefined && socket.readableFlowing === true && socket.readableLength === 0;
  }
}
