/** How far the clocks of an issuer and of the proxy may be apart, in seconds. */
export const CLOCK_SKEW_SECONDS = 60;
