import { AudioSource } from "@callweave/proto/messages";
import { signal } from "@preact/signals";
import { Speaker } from "../audio/speaker.js";
import type { DeskApi } from "../wire/api.js";
import type { Connection, OpenStream } from "../wire/connection.js";

/** A call that is listened to. */
export interface Heard {
  readonly callId: string;
  readonly source: AudioSource;
  readonly speaker: Speaker;
}

/** Listening to one call at a time, without a seat; goes on after a broken connection. */
export class Listening {
  readonly heard = signal<Heard | undefined>(undefined);
  /** Why it did not begin, or ended: a reason of the contract; empty when there is none. */
  readonly problem = signal("");
  private stream: OpenStream | undefined;

  constructor(
    connection: Connection,
    private readonly api: DeskApi,
  ) {
    connection.onLive(() => {
      const heard = this.heard.value;
      if (heard) this.open(heard);
    });
  }

  /** Begins to listen, instead of to what was listened to before. */
  async start(callId: string, source = AudioSource.MIXED): Promise<void> {
    this.stop();
    this.problem.value = "";
    try {
      const heard = { callId, source, speaker: await Speaker.open() };
      this.heard.value = heard;
      this.open(heard);
    } catch {
      this.problem.value = "NO_AUDIO";
    }
  }

  stop(): void {
    this.stream?.cancel();
    this.stream = undefined;
    this.heard.value?.speaker.close();
    this.heard.value = undefined;
  }

  private open(heard: Heard): void {
    this.stream = this.api.listen(heard.callId, heard.source, {
      message: ({ item }) => {
        if (item?.$case === "audio") heard.speaker.play(item.value.pcm);
        else if (item?.$case === "gap") heard.speaker.gap();
      },
      end: (error) => {
        if (error?.reason === "LOST" || this.heard.value !== heard) return;
        this.problem.value = error?.reason ?? "";
        this.stream = undefined;
        heard.speaker.close();
        this.heard.value = undefined;
      },
    });
  }
}
