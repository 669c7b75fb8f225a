import { describe, expect, it } from "vitest";
import { FrameSurvey } from "./frame-survey.js";

describe("FrameSurvey", () => {
  it("counts known frames and what they ask for", () => {
    const survey = new FrameSurvey();
    survey.observe("control", '{"type":"setup.done","smWsId":"1"}');
    survey.observe(
      "media",
      '{"type":"buffer_request","data":{"requested_bytes":1920,"prefer_audio_frame_bytes":960,"channelId":0}}',
    );
    expect([...survey.unknown]).toEqual([]);
    expect(Object.fromEntries(survey.frames)).toEqual({ "control setup.done": 1, "media buffer_request": 1 });
    expect(survey.asked).toEqual({ bytes: 1920, requests: 1 });
  });

  it("names what it does not know, and never a value", () => {
    const survey = new FrameSurvey();
    survey.observe(
      "control",
      '{"type":"call.in","sessionId":"s","token":"secret-token","region":"secret-region"}',
    );
    survey.observe("control", '{"type":"call.moved","to":"+15550100"}');
    survey.observe("media", '{"type":"call_event","data":{"event":"call.terminated","cause":16}}');
    survey.observe("media", "not json");
    survey.observe("media", "[]");
    survey.observe("control", '{"type":"__proto__"}');
    const names = [...survey.unknown];
    expect(names).toEqual([
      "control call.in: region",
      "control call.moved",
      "media call_event: data.cause",
      "media not JSON",
      "media no object",
      "control __proto__",
    ]);
  });

  it("keeps a bounded number of names", () => {
    const survey = new FrameSurvey();
    for (let i = 0; i < 1_000; i++) survey.observe("control", JSON.stringify({ type: `new.${i}` }));
    expect(survey.unknown.size).toBe(200);
  });
});
