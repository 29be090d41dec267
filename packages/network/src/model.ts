/** The network, as other packages may know it. */
export {Network, NetworkSpec, NetworkView, OverlayStatus} from '@hivemind/contracts';
export {contains, gatewayOf, parseCidr} from './core/cidr.ts';
export {networkErrors} from './errors.ts';
