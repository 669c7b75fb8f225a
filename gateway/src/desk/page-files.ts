import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { extname, join, relative, sep } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

interface PageFile {
  readonly type: string;
  readonly etag: string;
  /** By the name of the encoding; "" is plain. */
  readonly bodies: ReadonlyMap<string, Buffer>;
  /** Its name has its hash in it. */
  readonly immutable: boolean;
}

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".json": "application/json",
  ".webmanifest": "application/manifest+json",
  ".woff2": "font/woff2",
  ".mp3": "audio/mpeg",
  ".wav": "audio/wav",
};

/** The page that stands at every address which is no file: it looks at the address itself. */
const INDEX = "/index.html";

/**
 * The built page, read into memory once: what is not there cannot be asked for, and each file is compressed once. Its
 * files of `assets/` have their hash in their name and may be kept for ever.
 */
export class PageFiles {
  private readonly files = new Map<string, PageFile>();

  /** Throws when the folder has no index.html. */
  constructor(folder: string) {
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      const type = TYPES[extname(entry.name)];
      if (!entry.isFile() || !type) continue;
      const path = join(entry.parentPath, entry.name);
      const name = `/${relative(folder, path).split(sep).join("/")}`;
      this.files.set(name, fileOf(readFileSync(path), type, name.startsWith("/assets/")));
    }
    if (!this.files.has(INDEX)) throw new Error(`no index.html in ${folder}`);
  }

  /** Answers a GET or HEAD. A path without a file and without a dot is the page; false when there is nothing. */
  answer(path: string, request: IncomingMessage, response: ServerResponse): boolean {
    const file = this.files.get(path) ?? (/\.[A-Za-z0-9]+$/.test(path) ? undefined : this.files.get(INDEX));
    if (!file) return false;
    response.setHeader("Content-Type", file.type);
    response.setHeader("ETag", file.etag);
    response.setHeader("Vary", "Accept-Encoding");
    const keep = file.immutable ? "public, max-age=31536000, immutable" : "no-cache";
    response.setHeader("Cache-Control", keep);
    if (request.headers["if-none-match"] === file.etag) {
      response.writeHead(304).end();
      return true;
    }
    const accepted = String(request.headers["accept-encoding"] ?? "");
    const encoding = ["br", "gzip"].find((name) => accepted.includes(name) && file.bodies.has(name)) ?? "";
    const body = file.bodies.get(encoding) as Buffer;
    if (encoding) response.setHeader("Content-Encoding", encoding);
    response.setHeader("Content-Length", body.length);
    response.writeHead(200).end(request.method === "HEAD" ? undefined : body);
    return true;
  }
}

function fileOf(plain: Buffer, type: string, immutable: boolean): PageFile {
  const bodies = new Map([["", plain]]);
  if (/^(?:text|application)\/|svg/.test(type) && plain.length > 500) {
    bodies.set("br", brotliCompressSync(plain, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } }));
    bodies.set("gzip", gzipSync(plain, { level: 9 }));
  }
  const etag = `"${createHash("sha256").update(plain).digest("base64url").slice(0, 22)}"`;
  return { type, etag, bodies, immutable };
}
