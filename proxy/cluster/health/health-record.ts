/** What health checks say of one endpoint. Lives as long as the endpoint does. */
export class HealthRecord {
  /** False: it is to take no traffic. True as long as nobody checks it. */
  isWell = true;
  /** At least one check has ended. */
  isChecked = false;
  /** Why the last check that failed did, such as `status 503`; "" while none has since it was last well. */
  lastFailure = "";
  /** In a row, against what `isWell` says. */
  contradictions = 0;

  /** Nobody checks it any more. */
  clear(): void {
    this.isWell = true;
    this.isChecked = false;
    this.lastFailure = "";
    this.contradictions = 0;
  }
}
