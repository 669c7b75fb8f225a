import { effect } from "@preact/signals";
import { render } from "preact";
import { calls, connection, seat } from "./app.js";
import { locale, t } from "./text/index.js";
import { AppView } from "./views/app-view.js";
import "./style.css";

document.documentElement.lang = locale.value;
connection.start();
effect(() => {
  const count = calls.waiting().length;
  document.title = `${count > 0 ? `(${count}) ` : ""}Callweave ${t("title")}`;
});
// A caller would fall silent: the browser asks first.
window.addEventListener("beforeunload", (event) => {
  if (seat.held.value) event.preventDefault();
});
render(<AppView />, document.getElementById("app") as HTMLElement);
