-- Sign-ins and directory audits of Microsoft Entra ID: as diagnostic settings deliver them (`records`,
-- with `properties`), and as Graph lists them (`value`). How they get here: docs/sources/entra.md.
--
--: source entra
--: about Microsoft Entra ID: sign-ins and directory audits
--: unwrap records[]
--: unwrap value[]
--: keys also-lower-case
--
--: default actionName 'Sign-in activity'
--: default operation 'Sign-in activity'
--: default serviceName 'Microsoft Entra ID'
--: default sourceIdentifier 'Microsoft Entra ID'
--: default objectType 'ACTIVITY'
--: default noOfObjects 1
--
--: text time, operationName, callerIpAddress, identity
--: text properties.id, properties.createdDateTime, properties.activityDateTime
--: text properties.userId, properties.userPrincipalName, properties.servicePrincipalId, properties.servicePrincipalName
--: text properties.initiatedBy.user.id, properties.initiatedBy.user.userPrincipalName
--: text properties.initiatedBy.user.ipAddress, properties.initiatedBy.app.displayName
--: text properties.ipAddress, properties.appDisplayName, properties.loggedByService, properties.resourceId
--: text properties.clientAppUsed, properties.userAgent, properties.deviceDetail.browser, properties.deviceDetail.operatingSystem
--: bool properties.deviceDetail.isManaged, properties.deviceDetail.isCompliant
--: text properties.location.city, properties.location.state, properties.location.countryOrRegion
--: int properties.autonomousSystemNumber
--: text properties.targetResources[].id, properties.targetResources[].type
--: text properties.networkLocationDetails[].networkType, properties.networkLocationDetails[].networkNames[]
--
-- Graph has the same without `properties`.
--: text id, createdDateTime, activityDateTime, activityDisplayName, userId, userPrincipalName
--: text servicePrincipalId, servicePrincipalName
--: text initiatedBy.user.id, initiatedBy.user.userPrincipalName, initiatedBy.user.ipAddress, initiatedBy.app.displayName
--: text ipAddress, appDisplayName, loggedByService, resourceId
--: text clientAppUsed, userAgent, deviceDetail.browser, deviceDetail.operatingSystem
--: bool deviceDetail.isManaged, deviceDetail.isCompliant
--: text location.city, location.state, location.countryOrRegion
--: int autonomousSystemNumber
--: text targetResources[].id, targetResources[].type
--: text networkLocationDetails[].networkType, networkLocationDetails[].networkNames[]

SELECT
    coalesce(epoch_ms(time), epoch_ms(properties.createdDateTime), epoch_ms(properties.activityDateTime),
             epoch_ms(createdDateTime), epoch_ms(activityDateTime)) AS timeStamp,
    coalesce(properties.id, id) AS activityId,

    coalesce(operationName, activityDisplayName) AS actionName,
    coalesce(operationName, activityDisplayName) AS operation,
    coalesce(properties.appDisplayName, properties.loggedByService, appDisplayName, loggedByService) AS serviceName,
    coalesce(properties.userId, properties.initiatedBy.user.id, properties.servicePrincipalId,
             userId, initiatedBy.user.id, servicePrincipalId) AS accountId,
    coalesce(properties.userPrincipalName, properties.initiatedBy.user.userPrincipalName,
             properties.servicePrincipalName, properties.initiatedBy.app.displayName,
             userPrincipalName, initiatedBy.user.userPrincipalName, servicePrincipalName,
             initiatedBy.app.displayName, identity) AS "user",
    split_part(lower(coalesce(properties.userPrincipalName, properties.initiatedBy.user.userPrincipalName,
                              userPrincipalName, initiatedBy.user.userPrincipalName)), '@', 2) AS collabGroup,

    coalesce(ip_address(callerIpAddress), ip_address(properties.ipAddress),
             ip_address(properties.initiatedBy.user.ipAddress), ip_address(ipAddress),
             ip_address(initiatedBy.user.ipAddress)) AS sourceIP,
    nullif(lower(coalesce(properties.location.city, location.city)), 'unknown') AS city,
    nullif(lower(coalesce(properties.location.state, location.state)), 'unknown') AS region,
    country_code(coalesce(properties.location.countryOrRegion, location.countryOrRegion)) AS country,
    location_id(nullif(lower(coalesce(properties.location.city, location.city)), 'unknown'),
                country_code(coalesce(properties.location.countryOrRegion, location.countryOrRegion)),
                nullif(lower(coalesce(properties.location.state, location.state)), 'unknown')) AS locationId,
    coalesce(properties.autonomousSystemNumber, autonomousSystemNumber) AS asn,

    coalesce(nullif(properties.deviceDetail.browser, ''), nullif(deviceDetail.browser, ''),
             user_agent_name(properties.userAgent), user_agent_name(userAgent),
             properties.clientAppUsed, clientAppUsed) AS clientName,
    coalesce(nullif(properties.deviceDetail.operatingSystem, ''), nullif(deviceDetail.operatingSystem, ''),
             user_agent_os(properties.userAgent), user_agent_os(userAgent)) AS clientOS,
    coalesce(properties.clientAppUsed, clientAppUsed,
             user_agent_category(properties.userAgent), user_agent_category(userAgent)) AS clientCategory,
    coalesce(properties.deviceDetail.isManaged, properties.deviceDetail.isCompliant,
             deviceDetail.isManaged, deviceDetail.isCompliant) AS deviceManaged,

    CASE WHEN coalesce(
             value_of(properties.networkLocationDetails, 'networkType', 'trustedNamedLocation', 'networkType'),
             value_of(networkLocationDetails, 'networkType', 'trustedNamedLocation', 'networkType')
         ) IS NOT NULL THEN true END AS isSourceTrusted,
    CASE WHEN coalesce(
             value_of(properties.networkLocationDetails, 'networkType', 'trustedNamedLocation', 'networkType'),
             value_of(networkLocationDetails, 'networkType', 'trustedNamedLocation', 'networkType')
         ) IS NOT NULL THEN 'Microsoft Entra ID' END AS trustEntity,
    coalesce(
        array_element(value_of(properties.networkLocationDetails, 'networkType', 'trustedNamedLocation', 'networkNames'), 1),
        array_element(value_of(networkLocationDetails, 'networkType', 'trustedNamedLocation', 'networkNames'), 1)
    ) AS trustReason,

    coalesce(properties.resourceId, properties.targetResources[1].id, resourceId, targetResources[1].id) AS targetId,
    CASE WHEN coalesce(properties.resourceId, resourceId) IS NOT NULL THEN 'resource'
         ELSE coalesce(properties.targetResources[1].type, targetResources[1].type) END AS targetType
FROM record
