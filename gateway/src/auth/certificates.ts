import type { PeerCertificate } from "node:tls";
import { grantsOf, PLAIN_NAME, type Principal, type Rights, sameRights } from "../contract/principal.js";

/** Whose client certificate gives which rights. The authority that signed it is checked by TLS before. */
export interface CertificateRule extends Rights {
  /**
   * A subject alternative name: "URI:spiffe://example.org/agent/*" or "DNS:desk.example.org". A star stands for
   * characters other than "/" in a URI and other than "." in a name.
   */
  readonly san: string;
  readonly tenant: string;
  /** Appears as "client:<name>". Default: the name that matched. */
  readonly name?: string | undefined;
}

const SAN = /^(URI|DNS):(\S{1,256})$/;
const SHOWN = /^[\x21-\x7e]{1,200}$/;

/** The rules for client certificates; the first that matches holds. */
export class Certificates {
  private readonly rules: readonly {
    readonly pattern: RegExp;
    readonly rule: CertificateRule;
    readonly principal: Principal;
  }[];

  /** The names that each principal was found by. */
  private readonly names: WeakMap<Principal, readonly string[]>;

  /** Throws an Error on a rule that cannot be. `before`: the rules before a reload. */
  constructor(rules: readonly CertificateRule[], before?: Certificates) {
    this.names = before?.names ?? new WeakMap();
    this.rules = rules.map((rule) => {
      if (!PLAIN_NAME.test(rule.tenant))
        throw new Error(`tenant of certificate must match ${PLAIN_NAME.source}`);
      if (rule.name !== undefined && !PLAIN_NAME.test(rule.name))
        throw new Error(`name of certificate must match ${PLAIN_NAME.source}`);
      const principal: Principal = {
        tenant: rule.tenant,
        name: rule.name ?? "",
        proof: "certificate",
        role: rule.role ?? "",
        grants: grantsOf(rule),
      };
      return { pattern: patternOf(rule.san), rule, principal };
    });
  }

  get size(): number {
    return this.rules.length;
  }

  /** Who shows this certificate; undefined when no rule is about it. */
  find(certificate: PeerCertificate | undefined): Principal | undefined {
    if (!certificate) return undefined;
    return this.findBy(subjectAltNames(certificate.subjectaltname ?? ""));
  }

  /** Whether whoever was found by a certificate would be found again, with the same rights. */
  has(principal: Principal): boolean {
    const again = this.findBy(this.names.get(principal) ?? []);
    return again !== undefined && sameRights(again, principal);
  }

  private findBy(names: readonly string[]): Principal | undefined {
    for (const { pattern, rule, principal } of this.rules) {
      const found = names.find((name) => pattern.test(name));
      if (found === undefined) continue;
      const name = rule.name ?? found.slice(found.indexOf(":") + 1);
      if (!SHOWN.test(name)) return undefined;
      const shown = { ...principal, name };
      this.names.set(shown, names);
      return shown;
    }
    return undefined;
  }
}

function patternOf(san: string): RegExp {
  const [, kind, value = ""] = SAN.exec(san) ?? [];
  if (kind === undefined) throw new Error("san must be URI:… or DNS:… without spaces");
  const any = kind === "URI" ? "[^/]+" : "[^.]+";
  const escaped = value.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${kind}:${escaped.join(any)}$`, kind === "DNS" ? "i" : "");
}

/** "URI:…" and "DNS:…" of a certificate, as Node prints them; a value with a comma or quotes is a JSON text there. */
export function subjectAltNames(text: string): string[] {
  const names: string[] = [];
  for (const [, kind, value = ""] of text.matchAll(/(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,"]*)/g)) {
    if (kind !== "URI" && kind !== "DNS") continue;
    const plain = value.startsWith('"') ? unquoted(value) : value;
    if (plain !== undefined) names.push(`${kind}:${plain}`);
  }
  return names;
}

function unquoted(value: string): string | undefined {
  try {
    return String(JSON.parse(value));
  } catch {
    return undefined;
  }
}
