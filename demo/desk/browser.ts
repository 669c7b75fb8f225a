import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { encodeWav } from "@callweave/simulator";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";

/** Where a Chromium may be; CALLWEAVE_CHROMIUM names another. */
const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** The Chromium of this machine; undefined when there is none. */
export function chromiumPath(): string | undefined {
  const named = process.env.CALLWEAVE_CHROMIUM;
  return named ? named : PLACES.find((path) => existsSync(path));
}

/** What a browser is started with. */
export interface BrowserOptions {
  /** What its microphone hears, over and over; without: silence of Chromium's own. */
  readonly microphone?: { readonly samples: Int16Array; readonly sampleRate: number };
  /** Says no to whoever asks for a microphone, unless `grantPermissions` of a context says yes. Default: yes to all. */
  readonly refuseMicrophone?: boolean;
  /** Names that lead to this machine, so that a page comes from elsewhere. */
  readonly hosts?: readonly string[];
}

/** A headless Chromium with a microphone made of samples. */
export class TestBrowser {
  private constructor(
    private readonly browser: Browser,
    private readonly folder: string,
  ) {}

  static async start(options: BrowserOptions = {}): Promise<TestBrowser> {
    const executablePath = chromiumPath();
    if (!executablePath) throw new Error("no Chromium: apt-get install chromium, or set CALLWEAVE_CHROMIUM");
    const folder = await mkdtemp(join(tmpdir(), "callweave-desk-"));
    const flags = [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--use-fake-device-for-media-stream",
    ];
    // The fake dialog says yes to everything; without it the answer is no.
    if (!options.refuseMicrophone) flags.push("--use-fake-ui-for-media-stream");
    for (const host of options.hosts ?? []) flags.push(`--host-resolver-rules=MAP ${host} 127.0.0.1`);
    if (options.microphone) {
      const file = join(folder, "microphone.wav");
      const { samples, sampleRate } = options.microphone;
      await writeFile(file, encodeWav({ samples, sampleRate }));
      flags.push(`--use-file-for-fake-audio-capture=${file}`);
    }
    const browser = await chromium.launch({ executablePath, headless: true, args: flags });
    return new TestBrowser(browser, folder);
  }

  /** A window of its own: cookies, storage, size. */
  async context(options: Parameters<Browser["newContext"]>[0] = {}): Promise<BrowserContext> {
    const context = await this.browser.newContext({
      viewport: { width: 1280, height: 860 },
      locale: "en-GB",
      timezoneId: "Europe/Berlin",
      ...options,
    });
    await context.addInitScript({ path: fileURLToPath(new URL("./hear.js", import.meta.url)) });
    return context;
  }

  async stop(): Promise<void> {
    await this.browser.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** What the loudspeaker of a page has played so far, 24 kHz. */
export async function heardBy(page: Page): Promise<Int16Array> {
  const text = await page.evaluate(() => {
    const pieces = (globalThis as unknown as { callweaveHeard: Float32Array[] }).callweaveHeard;
    const all = new Int16Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
    let at = 0;
    for (const piece of pieces) for (const sample of piece) all[at++] = Math.round(sample * 32_767);
    let binary = "";
    const bytes = new Uint8Array(all.buffer);
    for (let i = 0; i < bytes.length; i += 8_192)
      binary += String.fromCharCode(...bytes.subarray(i, i + 8_192));
    return btoa(binary);
  });
  const bytes = Buffer.from(text, "base64");
  return new Int16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}
