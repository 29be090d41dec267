/** HAProxy of a machine: kept by the sidecar, ended where nothing is to be taken any more. */
export {endIngress} from './end.ts';
export {IngressKeeper, type IngressKeeperOptions} from './keeper.ts';
export {ProxyProcess} from './proxy-process.ts';
