import * as v from "valibot";
import { parseIpAddress } from "./network.ts";

/** Where to listen: a host and a port, already taken apart. */
export interface ListenAddress {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
}

/** One address to listen on, or several; the port is for messages. */
export function listenAddresses(examplePort: number) {
  const message =
    `must be an IP address and a port, such as "127.0.0.1:${examplePort}" or "[::]:${examplePort}"`;
  const address = v.pipe(
    v.string(message),
    v.rawTransform<string, ListenAddress>(({ dataset, addIssue, NEVER }) => {
      // No names: what one stands for is known only when it is looked up, and Deno asks permission for that.
      const parts = /^(?:\[(.*:.*)\]|([^:]+)):(\d{1,5})$/.exec(dataset.value);
      const [, ipv6 = "", ipv4 = "", digits] = parts ?? [];
      const host = ipv6 || ipv4;
      const port = Number(digits);
      if (parseIpAddress(host) !== undefined && port <= 65535) return { host, port };
      addIssue({ message });
      return NEVER;
    }),
  );
  return v.union([v.pipe(v.array(address), v.minLength(1, message)), address], message);
}

/** Whether only this machine can reach an address. */
export function isLoopback({ host }: ListenAddress): boolean {
  return host === "::1" || /^(::ffff:)?127\./i.test(host);
}
