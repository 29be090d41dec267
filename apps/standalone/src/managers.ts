/** Every manager of this release, loaded side by side. */
import type {Manager, ManagerContext} from '@hivemind/service';

export async function loadManagers(): Promise<(context: ManagerContext) => readonly Manager[]> {
  const [app, deployment, scheduler, node, container, storage, health, security] = await Promise.all([
    import('@hivemind/app/control'),
    import('@hivemind/deployment/control'),
    import('@hivemind/scheduler/control'),
    import('@hivemind/node/control'),
    import('@hivemind/container/control'),
    import('@hivemind/storage/control'),
    import('@hivemind/health/control'),
    import('@hivemind/security/control'),
  ]);
  return (context) => [
    app.createAppManager(context),
    deployment.createDeploymentManager(context),
    scheduler.createSchedulerManager(context),
    node.createNodeManager(context),
    container.createContainerManager(context),
    storage.createStorageManager(context),
    health.createHealthManager(context),
    security.createSecurityManager(context),
  ];
}
