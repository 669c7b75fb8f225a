import type { Planted } from "./parent.js";
import type { Area } from "./target.js";

/** A mistake as somebody might make it, and where it has to be noticed. */
export interface Defect extends Planted {
  readonly name: string;
  /** What is wrong then. */
  readonly what: string;
  readonly area: Area;
}

const TELCOFLOW = "gateway/src/telephony/telcoflow";
const DESK = "gateway/src/desk";

/**
 * Twenty defects over all kinds of input. Each is planted alone, as its module is loaded by the process that fuzzes; nothing
 * in the product knows of them. Text that is not found exactly once fails the proof.
 */
export const DEFECTS: readonly Defect[] = [
  {
    name: "inherited-type",
    what: "a frame of type toString is read by a function of every object",
    area: "telephony",
    file: `${TELCOFLOW}/validators.ts`,
    find: "if (!Object.hasOwn(readers, type))",
    replace: "if (!(type in readers))",
  },
  {
    name: "lost-odd-byte",
    what: "a byte that is kept twice running is lost and the samples shift",
    area: "telephony",
    file: `${TELCOFLOW}/frames.ts`,
    find: "this.keep(channel, pcmBytes % 2 === 0 ? last : -1);",
    replace: "this.keep(channel, -1);",
  },
  {
    name: "token-in-log",
    what: "bearer tokens of the provider's texts reach the log",
    area: "telephony",
    file: `${TELCOFLOW}/redact.ts`,
    find: '    .replace(BEARER, "[secret]")\n',
    replace: "",
  },
  {
    name: "format-past-end",
    what: "a format chunk that is cut off is read all the same",
    area: "audio",
    file: "gateway/src/audio/wav.ts",
    find: "if (size < 16 || begin + size > file.length)",
    replace: "if (size < 16)",
  },
  {
    name: "chunk-without-end",
    what: "a chunk of no length is read for ever",
    area: "audio",
    file: "gateway/src/audio/wav.ts",
    find: "at = begin + size + (size % 2);",
    replace: "at += size + (size % 2);",
  },
  {
    name: "number-too-long",
    what: "a phone number may have any number of digits",
    area: "text",
    file: "gateway/src/util/numbers.ts",
    find: "[0-9]{4,14}$/",
    replace: "[0-9]{4,}$/",
  },
  {
    name: "card-kept",
    what: "cards whose number ends with certain digits are kept",
    area: "text",
    file: "gateway/src/util/redact.ts",
    find: "sum += doubled > 9 ? doubled - 9 : doubled;",
    replace: "sum += doubled > 10 ? doubled - 9 : doubled;",
  },
  {
    name: "slow-email",
    what: "looking for e-mail addresses takes the square of a text's length",
    area: "text",
    file: "gateway/src/util/redact.ts",
    find: "/(?<![\\p{L}\\p{N}._%+-])[\\p{L}\\p{N}._%+-]{1,64}@",
    replace: "/[\\p{L}\\p{N}._%+-]+@",
  },
  {
    name: "short-cursor",
    what: "a cursor that is too short breaks the reading of it",
    area: "tokens",
    file: "gateway/src/events/cursor.ts",
    find: "bytes.length !== BYTES || ",
    replace: "",
  },
  {
    name: "foreign-page",
    what: "a page token of another tenant's list is taken",
    area: "tokens",
    file: "gateway/src/contract/page-token.ts",
    find: "value.binding === binding &&",
    replace: "value.binding !== undefined &&",
  },
  {
    name: "ticket-twice",
    what: "a ticket lets in again",
    area: "browser",
    file: `${DESK}/tickets.ts`,
    find: "    const found = this.open.get(ticket);\n    this.open.delete(ticket);\n",
    replace: "    const found = this.open.get(ticket);\n",
  },
  {
    name: "stream-number-twice",
    what: "a browser opens a stream under a number that it has used",
    area: "browser",
    file: `${DESK}/connection.ts`,
    find: "if (id <= this.newest)",
    replace: "if (id < this.newest)",
  },
  {
    name: "frame-that-throws",
    what: "bytes that are no frame throw in the handler of the socket",
    area: "browser",
    file: `${DESK}/connection.ts`,
    find: '    } catch {\n      this.refuse(CLOSE.MALFORMED, "not a BrowserRequest");\n      return;\n    }',
    replace: "    } catch (error) {\n      throw error;\n    }",
  },
  {
    name: "secret-in-error",
    what: "an error of the configuration quotes the line, with the secret in it",
    area: "config",
    file: "gateway/src/config/config-source.ts",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source text
    find: "`not YAML: ${firstLine(message)}`",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source text
    replace: "`not YAML: ${message} in ${text}`",
  },
  {
    name: "slow-locale",
    what: "a locale of any length meets a pattern that takes for ever",
    area: "serve",
    file: "gateway/src/contract/validate.ts",
    find: "const LOCALE = /^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$/;",
    replace: "const LOCALE = /^([A-Za-z]+-?)+$/;",
  },
  {
    name: "id-with-wildcard",
    what: "the id of a call may hold a wildcard of NATS",
    area: "serve",
    file: "gateway/src/contract/validate.ts",
    find: " || /[/*>]/.test(value)",
    replace: "",
  },
  {
    name: "answer-anywhere",
    what: "an answer is published wherever the sender likes",
    area: "nats",
    file: "gateway/src/bus/subjects.ts",
    find: "return /^_(?:INBOX|R_)/.test(subject) && isPlainSubject(subject);",
    replace: "return isPlainSubject(subject);",
  },
  {
    name: "hole-not-seen",
    what: "frames of an agent may be missing or come twice",
    area: "nats",
    file: "gateway/src/nats/agent-link.ts",
    find: "if (sequence !== String(this.upSequence + 1)) {",
    replace: 'if (sequence === "") {',
  },
  {
    name: "byte-of-another-call",
    what: "a byte that is kept of one call's audio goes into another's",
    area: "sockets",
    file: `${TELCOFLOW}/frames.ts`,
    find: "  private carried: Int16Array | undefined;\n",
    replace: `  private static held: Int16Array | undefined;
  private get carried() { return AudioFrameReader.held; }
  private set carried(value) { AudioFrameReader.held = value; }\n`,
  },
  {
    name: "nameless-refusal",
    what: "bytes that are no message end an RPC with an error of the server's library",
    area: "sockets",
    file: "gateway/src/grpc/unary.ts",
    find: "    } catch {\n      stats.malformed++;\n",
    replace: "    } catch (error) {\n      throw error;\n",
  },
];
