const MOST_PAGES = 12;

/**
 * Does what a person does in a browser with the URL and code that psql prints: enters the code, logs in as the account,
 * consents. It reads the issuer's real pages, sends their forms and keeps their cookies.
 */
export async function approveDevice(
  fetch: typeof globalThis.fetch,
  { verificationUrl, userCode, account }: { verificationUrl: string; userCode: string; account: string },
): Promise<void> {
  const answers = { user_code: userCode, login: account, password: "any" };
  const cookies = new Map<string, string>();
  let url = verificationUrl;
  let body: URLSearchParams | undefined;

  for (let pages = 0; pages < MOST_PAGES; pages++) {
    const headers = { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join("; ") };
    const response = await fetch(url, { method: body ? "POST" : "GET", body, headers, redirect: "manual" });
    keepCookies(response, cookies);
    const page = await response.text();
    if (response.status >= 400) throw new Error(`The issuer answered ${response.status} for ${url}`);

    const location = response.headers.get("location");
    if (location !== null) {
      [url, body] = [new URL(location, url).href, undefined];
      continue;
    }
    const form = readForm(page);
    if (form === undefined) return; // the page that says all is well has none
    [url, body] = [
      new URL(form.action, url).href,
      new URLSearchParams({ ...form.fields, ...pick(answers, form.names) }),
    ];
  }
  throw new Error(`The issuer asks for more than ${MOST_PAGES} pages`);
}

interface Form {
  readonly action: string;
  /** Every field's name. */
  readonly names: readonly string[];
  /** The fields that have a value already. */
  readonly fields: Readonly<Record<string, string>>;
}

function readForm(page: string): Form | undefined {
  const [, action] = /<form[^>]*\saction="([^"]*)"/.exec(page) ?? [];
  if (action === undefined) return undefined;
  const inputs = [...page.matchAll(/<input\b[^>]*>/g)].map(([input]) => input);
  const named = inputs.flatMap((input) => {
    const [, name] = /\sname="([^"]*)"/.exec(input) ?? [];
    return name === undefined ? [] : [{ name, value: /\svalue="([^"]*)"/.exec(input)?.[1] }];
  });
  return {
    action,
    names: named.map(({ name }) => name),
    fields: Object.fromEntries(
      named.flatMap(({ name, value }) => value === undefined ? [] : [[name, value]]),
    ),
  };
}

function pick(answers: Record<string, string>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(Object.entries(answers).filter(([name]) => names.includes(name)));
}

function keepCookies(response: Response, cookies: Map<string, string>): void {
  for (const line of response.headers.getSetCookie()) {
    const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)!;
    if (value === "") cookies.delete(name);
    else cookies.set(name, value);
  }
}
