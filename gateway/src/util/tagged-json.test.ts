import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseTagged, stringifyTagged } from "./tagged-json.js";

describe("tagged JSON", () => {
  it("gives any JSON value with dates back", () => {
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.string(),
        fc.integer(),
        fc.boolean(),
        fc.constant(null),
        fc.date({ noInvalidDate: true }),
        fc.array(tie("value"), { maxLength: 4 }),
        fc.dictionary(fc.oneof(fc.string(), fc.constantFrom("$date", "$$date", "$error")), tie("value"), {
          maxKeys: 4,
          noNullPrototype: true,
        }),
      ),
    }));
    fc.assert(
      fc.property(value, (v) => {
        expect(parseTagged(stringifyTagged(v))).toEqual(v);
      }),
    );
  });

  it("leaves undefined out and does not pollute", () => {
    expect(stringifyTagged({ a: undefined, b: 1 })).toBe('{"b":1}');
    parseTagged('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}');
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });

  it("calls the hooks", () => {
    const text = stringifyTagged({ at: new URL("http://a/") }, (v) =>
      v instanceof URL ? { $url: v.href } : undefined,
    );
    expect(text).toBe('{"at":{"$url":"http://a/"}}');
    expect(parseTagged(text, (v) => (typeof v.$url === "string" ? v.$url : undefined))).toEqual({
      at: "http://a/",
    });
  });
});
