import { useState } from "preact/hooks";
import { connection } from "../app.js";
import { t } from "../text/index.js";
import { SignInError, signIn } from "../wire/sign-in.js";
import { Button } from "./parts.js";

/** Asks for the key. */
export function SignInView() {
  const [key, setKey] = useState("");
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const send = async () => {
    setBusy(true);
    setProblem("");
    try {
      await signIn(key.trim());
      await connection.again();
    } catch (error) {
      const status = error instanceof SignInError ? error.status : 0;
      setProblem(status === 401 ? t("signIn.wrong") : status === 429 ? t("signIn.slow") : t("signIn.failed"));
    }
    setBusy(false);
  };
  return (
    <main class="sign-in">
      <form
        class="card"
        onSubmit={(event) => {
          event.preventDefault();
          void send();
        }}
      >
        <img src="/icon.svg" alt="" width="48" height="48" />
        <h1>{t("signIn.title")}</h1>
        <label class="stack">
          {t("signIn.key")}
          <input
            type="password"
            autocomplete="current-password"
            required
            value={key}
            aria-describedby="sign-in-hint"
            onInput={({ currentTarget }) => setKey(currentTarget.value)}
          />
        </label>
        <p id="sign-in-hint" class="hint">
          {t("signIn.hint")}
        </p>
        <p class="told complaint" role="alert">
          {problem}
        </p>
        <Button kind="primary" type="submit" disabled={busy || key.trim() === ""}>
          {t("signIn.go")}
        </Button>
      </form>
    </main>
  );
}
