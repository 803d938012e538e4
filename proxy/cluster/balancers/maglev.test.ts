import { balancerContract, hashingContract } from "./contract.ts";

balancerContract("maglev");
hashingContract("maglev");
