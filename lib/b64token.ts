const B64TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/;

/**
 * Whether a text has the one form that a bearer token may have on the wire: no character in it means anything there.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6750#section-2.1
 */
export function isB64token(text: string): boolean {
  return B64TOKEN.test(text);
}
