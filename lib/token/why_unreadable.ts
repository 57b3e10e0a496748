/** Why a file or variable that the configuration names cannot be read, and what to do about it, as a clause. */
export function whyUnreadable(error: unknown, permission: string): string {
  if (error instanceof Deno.errors.NotCapable) return `start Deno with ${permission}`;
  if (error instanceof Deno.errors.NotFound) return "it does not exist";
  if (error instanceof Deno.errors.PermissionDenied) return "this user may not; change its owner or mode";
  return error instanceof Error ? error.message : "unknown error";
}
