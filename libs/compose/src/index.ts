/** Compose files and native manifests to Hivemind resources. See docs/compose.md for what is supported. */
export {readComposeProject, projectLabelKey, type ComposeInput, type ComposeProject, type ComposeResource} from './project.ts';
export {type ComposeBuild} from './build.ts';
export {type Notice} from './findings.ts';
export {composeErrors} from './errors.ts';
export {contentKey, contentsOf, type Contents} from './sources.ts';
export {dnsLabel, projectLabel} from './names.ts';
export {isManifest, readManifest, type ManifestResource} from './manifest.ts';
export {interpolate, InterpolationError, type Lookup} from './interpolation.ts';
export {type Position, positionText} from './tree.ts';
