import { describe, expect, it } from "vitest";
import { decodeStatusDetails, encodeStatusDetails } from "./error-details.js";

const status = {
  code: 9,
  message: "SetAgentMode is not allowed in PENDING",
  errorInfo: {
    reason: "CALL_STATE",
    domain: "callweave",
    metadata: { call_id: "c-1", state: "PENDING", verb: "SetAgentMode", allowed: "AnswerCall,ConnectCall" },
  },
};

describe("status details", () => {
  it("come back as they were given", () => {
    expect(decodeStatusDetails(encodeStatusDetails(status))).toEqual(status);
    expect(decodeStatusDetails(encodeStatusDetails({ code: 0, message: "" }))).toEqual({
      code: 0,
      message: "",
    });
    const long = { ...status, message: "ä".repeat(500) };
    expect(decodeStatusDetails(encodeStatusDetails(long))).toEqual(long);
  });

  it("have the bytes that the field numbers of google.rpc say", () => {
    const wanted = [
      "0805120178", // code 5, message "x"
      "1a41", // details
      "0a28747970652e676f6f676c65617069732e636f6d2f676f6f676c652e7270632e4572726f72496e666f", // type_url
      "1215", // value: an ErrorInfo
      "0a0152120963616c6c77656176651a050a016b1200", // reason "R", domain, metadata {"k": ""}
    ].join("");
    const bytes = encodeStatusDetails({
      code: 5,
      message: "x",
      errorInfo: { reason: "R", domain: "callweave", metadata: { k: "" } },
    });
    expect(bytes.toString("hex")).toBe(wanted);
  });

  it("pass over details of other types and unknown fields", () => {
    const other = Buffer.from("1a080a01781203010203", "hex");
    expect(
      decodeStatusDetails(Buffer.concat([other, encodeStatusDetails(status), Buffer.from("2001", "hex")])),
    ).toEqual(status);
  });

  it("prefer the ErrorInfo of this project", () => {
    const foreign = encodeStatusDetails({
      code: 0,
      message: "",
      errorInfo: { reason: "X", domain: "example.com", metadata: {} },
    });
    expect(decodeStatusDetails(Buffer.concat([foreign, encodeStatusDetails(status)])).errorInfo?.domain).toBe(
      "callweave",
    );
  });

  it("do not take a metadata key for a prototype", () => {
    const info = { reason: "R", domain: "callweave", metadata: JSON.parse('{"__proto__": "x"}') };
    const back = decodeStatusDetails(encodeStatusDetails({ code: 1, message: "", errorInfo: info }));
    expect(Object.keys(back.errorInfo?.metadata ?? {})).toEqual(["__proto__"]);
  });

  it("throw on bytes that are no message", () => {
    expect(() => decodeStatusDetails(Buffer.from("1aff", "hex"))).toThrow();
  });
});
