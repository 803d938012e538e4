import type { ServiceRoutes } from "../lib/service.ts";
import { runService, ServiceError } from "../lib/service.ts";

const customers = new Map([
  ["X", { name: "Xaver Xenakis", address: "1 Test Lane, Xanten" }],
  ["Anna", { name: "Anna Albrecht", address: "12 Harbour Street, Hamburg" }],
  ["Ben", { name: "Ben Becker", address: "3 Mill Road, Bremen" }],
  ["Carla", { name: "Carla Conti", address: "7 Via Roma, Torino" }],
]);

/** Who the customers are and where they live. */
export const customerRoutes: ServiceRoutes = {
  "GET /customers/:user": (_request, { user = "" }) => {
    const customer = customers.get(user);
    if (customer === undefined) throw new ServiceError(404, `there is no customer ${user}`);
    return { body: { user, ...customer } };
  },
};

if (import.meta.main) await runService({ name: "customer", routes: customerRoutes });
