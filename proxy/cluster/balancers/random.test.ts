import { balancerContract } from "./contract.ts";

balancerContract("random");
