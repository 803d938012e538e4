import { balancerContract, hashingContract } from "./contract.ts";

balancerContract("ring-hash", { skew: 0.3 });
hashingContract("ring-hash");
