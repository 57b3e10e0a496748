import * as v from "valibot";
import { isLoopback, type ListenAddress, listenAddresses } from "../listen_address.ts";

const table = v.strictObject({
  address: v.optional(listenAddresses(9187)),
  certificate: v.optional(v.string("must be the path of a PEM file with the certificate and its chain")),
  private_key: v.optional(v.string("must be the path of a PEM file with the private key")),
  insecure_plaintext: v.optional(v.boolean("must be true or false"), false),
});

type Table = v.InferOutput<typeof table>;

/** What the checks over several keys read. */
const CROSS_CHECKED = [["address"], ["certificate"], ["private_key"], ["insecure_plaintext"]] as const;

/** The table `[admin]`: where health, readiness and metrics are asked for; without an address, nowhere. */
export const adminSchema = v.pipe(
  table,
  at("address", {
    holds: ({ address, certificate, insecure_plaintext }) =>
      certificate !== undefined || insecure_plaintext || addressesOf(address).every(isLoopback),
    message: "can be reached from other machines and needs certificate and private_key" +
      " (insecure_plaintext = true lets them read metrics in clear)",
  }),
  at("address", {
    holds: ({ address, certificate }) => certificate === undefined || address !== undefined,
    message: "is required with certificate: without it nothing is served",
  }),
  at("private_key", {
    holds: ({ certificate, private_key }) => (certificate === undefined) === (private_key === undefined),
    message: "must be given together with certificate",
  }),
);

/** The table `[admin]` as read. */
export type AdminSettings = v.InferOutput<typeof adminSchema>;

/** Each address, in order. */
export function addressesOf(address: Table["address"]): readonly ListenAddress[] {
  return address === undefined ? [] : [address].flat();
}

/** A check over several keys, run even while others are wrong so that all mistakes are told at once. */
function at(
  key: keyof Table,
  { holds, message }: { holds: (admin: Table) => boolean; message: string },
) {
  return v.forward(
    v.partialCheck<Table, typeof CROSS_CHECKED, Table, string>(CROSS_CHECKED, holds, message),
    [key],
  );
}
