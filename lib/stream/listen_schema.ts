import * as v from "valibot";
import { duration } from "../duration.ts";
import { listenAddresses } from "../listen_address.ts";
import { networks } from "../network.ts";

/** A PasswordMessage has room for this much: its 65535 bytes count its length and its final zero. */
const MAX_TOKEN_BYTES = 65530;

const TOKEN_BYTES_MESSAGE = "must be a whole number of bytes from 256 to 65530";

const table = v.strictObject({
  address: v.optional(listenAddresses(6432), "127.0.0.1:6432"),
  certificate: v.optional(v.string("must be the path of a PEM file with the certificate and its chain")),
  private_key: v.optional(v.string("must be the path of a PEM file with the private key")),
  minimum_tls_version: v.optional(
    v.picklist(["TLSv1.2", "TLSv1.3"], 'must be "TLSv1.2" or "TLSv1.3"'),
    "TLSv1.2",
  ),
  client_certificate: v.optional(
    v.picklist(["none", "request", "require"], 'must be "none", "request" or "require"'),
    "none",
  ),
  client_ca: v.optional(v.string("must be the path of a PEM file with the authorities of the clients")),
  insecure_plaintext: v.optional(v.boolean("must be true or false"), false),
  max_token_bytes: v.optional(
    v.pipe(
      v.number(TOKEN_BYTES_MESSAGE),
      v.integer(TOKEN_BYTES_MESSAGE),
      v.minValue(256, TOKEN_BYTES_MESSAGE),
      v.maxValue(MAX_TOKEN_BYTES, TOKEN_BYTES_MESSAGE),
    ),
    16384,
  ),
  login_timeout: v.optional(duration({ minMs: 100 }), "30s"),
  /** Peers whose connections begin with a PROXY header; nobody else's may. */
  proxy_protocol: v.optional(networks, []),
});

/** What the checks over several keys read. */
const CROSS_CHECKED = [["certificate"], ["private_key"], ["client_certificate"], ["client_ca"], [
  "insecure_plaintext",
]] as const;

/** The table `[listen]`: where clients come in, and by which certificate they know us. */
export const listenSchema = v.pipe(
  table,
  at("certificate", {
    holds: ({ certificate, insecure_plaintext }) => certificate !== undefined || insecure_plaintext,
    message:
      "is required: tokens travel only inside TLS (insecure_plaintext = true lets them travel in clear)",
  }),
  at("private_key", {
    holds: ({ certificate, private_key }) => (certificate === undefined) === (private_key === undefined),
    message: "must be given together with certificate",
  }),
  at("client_certificate", {
    // That there is none where there must be one has been told.
    holds: ({ certificate, client_certificate, insecure_plaintext }) =>
      certificate !== undefined || client_certificate === "none" || !insecure_plaintext,
    message: "needs TLS: give certificate and private_key too",
  }),
  at("client_certificate", {
    holds: ({ certificate, client_certificate, insecure_plaintext }) =>
      certificate === undefined || client_certificate !== "require" || !insecure_plaintext,
    message: 'cannot be "require" where clients may come in outside TLS: remove insecure_plaintext',
  }),
  at("client_ca", {
    holds: ({ client_ca, client_certificate }) => client_ca !== undefined || client_certificate !== "require",
    message:
      'is required with client_certificate = "require": name a PEM file with the authorities of the clients',
  }),
  at("client_ca", {
    holds: ({ client_ca, client_certificate }) => client_ca === undefined || client_certificate !== "none",
    message: 'is of no use without client_certificate = "request" or "require"',
  }),
);

/** The table `[listen]` as read. */
export type ListenSettings = v.InferOutput<typeof listenSchema>;

type Table = v.InferOutput<typeof table>;

type CrossChecked = Pick<
  Table,
  "certificate" | "private_key" | "client_certificate" | "client_ca" | "insecure_plaintext"
>;

/** A check over several keys, run even while others are wrong so that all mistakes are told at once. */
function at(
  key: keyof CrossChecked,
  { holds, message }: { holds: (listen: CrossChecked) => boolean; message: string },
) {
  return v.forward(
    v.partialCheck<Table, typeof CROSS_CHECKED, CrossChecked, string>(CROSS_CHECKED, holds, message),
    [key],
  );
}
