// The console: signs in, then shows the page that the URL's fragment names.

import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ApiError, signIn } from "./api.ts";
import { Execution } from "./execution/view.tsx";
import { Executions } from "./executions/view.tsx";
import "./app.css";

function SignIn({ onDone }: { onDone: () => void }) {
  const [error, setError] = useState("");
  const submit = (e: Event) => {
    e.preventDefault();
    const form = new FormData(e.currentTarget as HTMLFormElement);
    signIn({ accessKey: String(form.get("access")), secretKey: String(form.get("secret")) })
      .then(onDone, (e: Error) => setError(e.message));
  };
  return (
    <form class="signin" onSubmit={submit}>
      <h1>Lakerun</h1>
      <p class="quiet"><code>lakerun status</code> prints a link that signs you in; or use access keys.</p>
      <label>Access key <input name="access" autocomplete="username" required /></label>
      <label>Secret key <input name="secret" type="password" autocomplete="current-password" required /></label>
      {error ? <p class="error">{error}</p> : null}
      <button>Sign in</button>
    </form>
  );
}

function App() {
  const [place, setPlace] = useState(location.hash);
  const [signedIn, setSignedIn] = useState(true);
  const [error, setError] = useState("");
  useEffect(() => {
    const moved = () => { setPlace(location.hash); setError(""); };
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);
  const token = /^#token=(.+)$/.exec(place)?.[1];
  useEffect(() => {
    if (token === undefined) return;
    signIn({ token }).then(() => { setSignedIn(true); location.hash = "#/"; }, () => setSignedIn(false));
  }, [token]);
  const onError = (e: unknown) => {
    if (e instanceof ApiError && e.status === 401) setSignedIn(false);
    else setError(e instanceof Error ? e.message : String(e));
  };
  if (token !== undefined && signedIn) return <p class="quiet">Signing in…</p>;
  if (!signedIn) return <SignIn onDone={() => { setSignedIn(true); if (token !== undefined) location.hash = "#/"; }} />;
  const arn = /^#\/execution\/(.+)$/.exec(place)?.[1];
  return (
    <>
      {error ? <p class="error" role="alert">{error}</p> : null}
      {arn !== undefined ? <Execution key={arn} arn={decodeURIComponent(arn)} onError={onError} /> : <Executions onError={onError} />}
    </>
  );
}

render(<App />, document.getElementById("app")!);
