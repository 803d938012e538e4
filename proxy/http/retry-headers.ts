/**
 * Says that a request is itself a retry, and the how-manieth attempt (2 and up). Read and taken away by the next proxy before its
 * workload; taken away at gateways when it comes from outside.
 */
export const attemptHeader = "x-weft-attempt";

/** `no` on a failure that a proxy further down has retried in vain, or must not retry: trying again further up only multiplies it. */
export const retryVerdictHeader = "x-weft-retry";
