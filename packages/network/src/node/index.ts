export {networkOwner, unableBecause} from './claim.ts';
export {createNetwork, type Network, type NetworkOptions} from './network.ts';
export {removeNetwork} from './remove.ts';
