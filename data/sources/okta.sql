-- Records of Okta's System Log: as its API lists them, and as EventBridge passes them on (`detail`).
-- How they get here: docs/sources/okta.md.
--
--: source okta
--: about Okta: System Log
--: unwrap detail
--: keys also-lower-case
--
--: default serviceName 'Okta'
--: default sourceIdentifier 'Okta System Log'
--: default objectType 'ACTIVITY'
--
--: text uuid, published, eventType, actor.id, actor.alternateId
--: text client.ipAddress, client.zone, client.device, client.userAgent.browser, client.userAgent.os, client.userAgent.rawUserAgent
--: text client.geographicalContext.city, client.geographicalContext.state, client.geographicalContext.country
--: int securityContext.asNumber
--: text securityContext.asOrg, securityContext.isp
--: bool securityContext.isProxy, device.managed
--: text target[].type, target[].alternateId, target[].displayName
--: text debugContext.debugData.requestUri

SELECT
    epoch_ms(published) AS timeStamp,
    uuid AS activityId,

    eventType AS actionName,
    eventType AS operation,
    value_of(target, 'type', 'AppInstance', 'displayName') AS serviceName,
    actor.id AS accountId,
    actor.alternateId AS "user",
    split_part(lower(actor.alternateId), '@', 2) AS collabGroup,

    ip_address(client.ipAddress) AS sourceIP,
    lower(client.geographicalContext.city) AS city,
    lower(client.geographicalContext.state) AS region,
    country_code(client.geographicalContext.country) AS country,
    location_id(lower(client.geographicalContext.city), country_code(client.geographicalContext.country),
                lower(client.geographicalContext.state)) AS locationId,
    securityContext.asNumber AS asn,
    translate(lower(securityContext.asOrg), ',', '') AS asnName,
    translate(lower(securityContext.isp), ',', '') AS geoOrgNameV1,
    CASE WHEN securityContext.isProxy THEN 'anonymous' END AS proxyType,

    -- Okta writes the text `null` for an address in no zone; who is on its block list is not trusted.
    CASE WHEN client.zone NOT IN ('null', '', 'OFF_NETWORK', 'BlockedIpZone') THEN true END AS isSourceTrusted,
    CASE WHEN client.zone NOT IN ('null', '', 'OFF_NETWORK', 'BlockedIpZone') THEN 'Okta' END AS trustEntity,
    CASE WHEN client.zone NOT IN ('null', '', 'OFF_NETWORK', 'BlockedIpZone') THEN client.zone END AS trustReason,

    coalesce(nullif(client.userAgent.browser, 'UNKNOWN'), user_agent_name(client.userAgent.rawUserAgent)) AS clientName,
    coalesce(nullif(client.userAgent.os, 'Unknown'), user_agent_os(client.userAgent.rawUserAgent)) AS clientOS,
    coalesce(nullif(client.device, 'Unknown'), user_agent_category(client.userAgent.rawUserAgent)) AS clientCategory,
    device.managed AS deviceManaged,

    target[1].alternateId AS targetId,
    target[1].type AS targetType,
    CAST(array_length(target) AS DOUBLE) AS noOfObjects,
    -- What follows the question mark holds tokens.
    split_part(debugContext.debugData.requestUri, '?', 1) AS url
FROM record
