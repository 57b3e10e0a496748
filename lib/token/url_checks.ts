/** Whether it is a URL of HTTP without credentials and fragment, and without a query unless that is allowed; or not there. */
export function isUrl(value: string | undefined, allowed = { query: false }): boolean {
  if (value === undefined) return true;
  const url = URL.parse(value);
  if (url === null || !["https:", "http:"].includes(url.protocol)) return false;
  return url.username === "" && url.password === "" && !value.includes("#") &&
    (allowed.query || !value.includes("?"));
}

/** As a URL's `host` has it: in small letters, and a port only where it is not that of https. */
export function isHost(value: string): boolean {
  return URL.parse(`https://${value}`)?.host === value;
}

/** Whether it is no http:// URL, or may be one; or is not there. */
export function isSecure(value: string | undefined, insecureHttp = false): boolean {
  return value === undefined || insecureHttp === true || URL.parse(value)?.protocol !== "http:";
}
