/** Volumes, as other packages may know them. */
export {Volume, VolumeSpec} from '@hivemind/contracts';
export {volumeLabels, volumeName} from './core/names.ts';
export {storageErrors} from './errors.ts';
