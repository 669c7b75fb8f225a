import axe from "axe-core";
import type { Page } from "playwright-core";

/** A rule of WCAG 2.2 AA, or a good practice of axe's, that a view breaks. */
export interface Violation {
  readonly view: string;
  readonly rule: string;
  readonly where: string;
}

/** Looks at the view that a page shows; answers what is wrong with it. */
export async function violationsOf(page: Page, view: string): Promise<Violation[]> {
  await page.evaluate(axe.source);
  const found = await page.evaluate(async () => {
    const { axe: inPage } = globalThis as unknown as { axe: typeof axe };
    const { violations } = await inPage.run({ resultTypes: ["violations"] });
    return violations.map(({ id, nodes }) => ({ rule: id, where: nodes.map(({ html }) => html).join("\n") }));
  });
  return found.map((one) => ({ view, ...one }));
}
