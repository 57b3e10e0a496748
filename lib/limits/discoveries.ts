/** How often one address may ask where tokens come from. */
export class Discoveries {
  /** @throws {PgError} 53300 when it has asked too often */
  take(_address: string): void {}
}
