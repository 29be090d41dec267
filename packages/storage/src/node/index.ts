export {createStorage, type Storage, type StorageOptions} from './storage.ts';
