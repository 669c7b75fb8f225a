import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HOLD_LEVEL_DBFS, HoldSound, loadAnnouncement, loadHoldSound } from "./hold-audio.js";
import { bytesToSamples, samplesToBytes } from "./pcm.js";
import { writeWav } from "./wav.js";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "hold-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.each([8000, 16_000, 24_000])("the generated hold sound at %i Hz", (rate) => {
  const loop = bytesToSamples(HoldSound.generated().loop(rate));
  const seconds = loop.length / rate;

  it("is around its level and never clips", () => {
    const rms = Math.sqrt(loop.reduce((sum, s) => sum + s * s, 0) / loop.length);
    expect(Math.abs(20 * Math.log10(rms / 32_768) - HOLD_LEVEL_DBFS)).toBeLessThan(1);
    expect(loop.reduce((peak, s) => Math.max(peak, Math.abs(s)), 0)).toBeLessThan(16_000);
  });

  it("is never silent for 2 s, across the seam too", () => {
    let silent = 0;
    let longest = 0;
    const block = rate / 50;
    for (let at = 0; at < 2 * loop.length; at += block) {
      let peak = 0;
      for (let i = 0; i < block; i++) peak = Math.max(peak, Math.abs(loop[(at + i) % loop.length] as number));
      silent = peak < 100 ? silent + 0.02 : 0;
      longest = Math.max(longest, silent);
    }
    expect(seconds).toBeGreaterThan(5);
    expect(longest).toBeLessThan(1.9);
  });

  it("has no click, at the seam neither", () => {
    let worst = 0;
    for (let i = 0; i < loop.length; i++) {
      const next = loop[(i + 1) % loop.length] as number;
      const after = loop[(i + 2) % loop.length] as number;
      worst = Math.max(worst, Math.abs((loop[i] as number) - 2 * next + after));
    }
    // Second difference of the highest note at full strength, with room.
    expect(worst).toBeLessThan(16_000 * (2 * Math.PI * (1400 / rate)) ** 2 + 50);
  });

  it("reads for ever, into the place given", () => {
    const hold = HoldSound.generated().open(rate);
    const bytes = HoldSound.generated().loop(rate);
    const target = new Uint8Array(bytes.length + 20);
    expect(hold.read(target, 10, 101)).toBe(100);
    expect([...target.subarray(0, 10)]).toEqual(new Array(10).fill(0));
    expect([...target.subarray(10, 110)]).toEqual([...bytes.subarray(0, 100)]);
    expect(hold.read(target, 0, bytes.length)).toBe(bytes.length);
    expect([...target.subarray(bytes.length - 100, bytes.length)]).toEqual([...bytes.subarray(0, 100)]);
    expect(hold.read(target, target.length - 3, 100)).toBe(2);
    expect(hold.read(target, 0, 0)).toBe(0);
    hold.restart();
    hold.read(target, 0, 10);
    expect([...target.subarray(0, 10)]).toEqual([...bytes.subarray(0, 10)]);
  });
});

describe("audio from files", () => {
  it("holds by a WAV file and plays announcements at the rate of the call", async () => {
    const file = join(folder, "a.wav");
    await writeFile(file, writeWav(samplesToBytes(new Int16Array(8000).fill(1000)), 8000));
    expect((await loadHoldSound(file)).loop(24_000).length).toBe(48_000);
    const announcement = await loadAnnouncement(file, 16_000);
    expect(announcement.length).toBe(32_000);
    expect(bytesToSamples(announcement)[8000]).toBe(1000);
    await expect(loadAnnouncement(file, 8000, 0.5)).rejects.toThrow(/1\.0 s; at most 0\.5 s/);
  });

  it("names the file that is no good", async () => {
    const file = join(folder, "b.wav");
    await writeFile(file, "text");
    await expect(loadAnnouncement(file, 8000)).rejects.toThrow(/b\.wav: not a WAV file/);
    await expect(loadHoldSound(join(folder, "none.wav"))).rejects.toThrow(
      /none\.wav: cannot be read \(ENOENT\)/,
    );
    await writeFile(file, writeWav(new Uint8Array(100), 8000));
    await expect(loadHoldSound(file)).rejects.toThrow(/b\.wav: shorter than 0\.1 s/);
  });

  it("generates without a file, once for all", async () => {
    expect(HoldSound.generated().loop(8000)).toBe(HoldSound.generated().loop(8000));
    expect((await loadHoldSound()).loop(8000).length).toBe(2 * 9.6 * 8000);
  });
});
