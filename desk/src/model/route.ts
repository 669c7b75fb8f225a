import { signal } from "@preact/signals";

/** Where the page is. */
export type Route =
  | { readonly view: "calls"; readonly callId: string }
  | { readonly view: "missed"; readonly callId: string }
  | { readonly view: "supervisor" };

function parse(path: string): Route {
  const [view = "", id = ""] = path.split("/").slice(1);
  const callId = safeDecode(id);
  if (view === "missed") return { view, callId };
  if (view === "supervisor") return { view };
  return { view: "calls", callId };
}

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

/** The address as it is now; a call has a link by its id. */
export const route = signal<Route>(parse(location.pathname));

window.addEventListener("popstate", () => {
  route.value = parse(location.pathname);
});

/** The address of a call. */
export function callPath(callId: string, view: "calls" | "missed" = "calls"): string {
  return `/${view}/${encodeURIComponent(callId)}`;
}

/** Goes to another place of the page. */
export function go(path: string): void {
  if (path === location.pathname) return;
  history.pushState(null, "", path);
  route.value = parse(path);
}
