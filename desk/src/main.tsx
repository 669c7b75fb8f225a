import { render } from "preact";
import { connection, seat } from "./app.js";
import { locale } from "./text/index.js";
import { AppView } from "./views/app-view.js";
import "./style.css";

document.documentElement.lang = locale.value;
connection.start();
// A caller would fall silent: the browser asks first.
window.addEventListener("beforeunload", (event) => {
  if (seat.held.value) event.preventDefault();
});
render(<AppView />, document.getElementById("app") as HTMLElement);
