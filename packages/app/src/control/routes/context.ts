/** What the routes of this manager share. */
import type {HttpServer, ManagerContext} from '@hivemind/service';
import type {AppWrites} from '../app-writes.ts';
import type {ClusterView} from '../view.ts';

export interface RouteContext {
  readonly app: HttpServer;
  readonly context: ManagerContext;
  readonly view: ClusterView;
  readonly writes: AppWrites;
}
