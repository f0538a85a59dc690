-- Events of the Open Cybersecurity Schema Framework 1.x, as JSON: identity and access (classes 3001 to
-- 3006), API activity (6003) and file activity (1001, 6006). Other classes give what they share with
-- these. How they get here: docs/sources/ocsf.md.
--
--: source ocsf
--: about OCSF 1.x: identity, API and file activity
--
--: default sourceIdentifier 'OCSF'
--: default objectType 'ACTIVITY'
--
--: text time, time_dt, metadata.uid, metadata.product.name, class_name, activity_name, type_name
--: int class_uid, activity_id, count
--: text api.operation, api.service.name, service.name, dst_endpoint.svc_name, cloud.account.uid, cloud.cloud_partition
--: text actor.user.name, actor.user.uid, actor.user.email_addr, actor.user.account.uid, actor.session.issuer, actor.invoked_by
--: text user.name, user.uid, user.email_addr
--: text src_endpoint.ip, src_endpoint.location.city, src_endpoint.location.region, src_endpoint.location.country
--: int src_endpoint.autonomous_system.number
--: text src_endpoint.autonomous_system.name
--: text http_request.user_agent, http_request.http_method, http_request.url.url_string
--: text device.os.name
--: bool device.is_managed, device.is_compliant
--: text resources[].uid, resources[].name, resources[].type
--: text file.name, file.path, file.parent_folder, file.type, file.owner.name, file.owner.email_addr, file.uid
--: int file.size, traffic.bytes_in, traffic.bytes_out

SELECT
    coalesce(TRY_CAST(time AS BIGINT), epoch_ms(time_dt), epoch_ms(time)) AS timeStamp,
    metadata.uid AS activityId,
    count AS count,
    count AS eventCount,

    coalesce(api.operation, type_name, joined(': ', class_name, activity_name)) AS actionName,
    coalesce(api.operation, type_name, joined(': ', class_name, activity_name)) AS operation,
    split_part(coalesce(api.service.name, service.name, dst_endpoint.svc_name, metadata.product.name), '.amazonaws.com', 1)
        AS serviceName,
    coalesce(cloud.account.uid, actor.user.account.uid) AS accountId,

    -- Who signs in is the event's user, and the actor is what checks him; elsewhere the user is acted on.
    CASE WHEN class_uid = 3002
         THEN coalesce(user.email_addr, user.name, user.uid, actor.user.email_addr, actor.user.name, actor.user.uid)
         ELSE coalesce(actor.user.email_addr, actor.user.name, actor.user.uid, actor.invoked_by)
    END AS "user",
    CASE WHEN class_uid = 3002 THEN split_part(lower(coalesce(user.email_addr, user.name)), '@', 2)
         ELSE split_part(lower(coalesce(actor.user.email_addr, actor.user.name)), '@', 2) END AS collabGroup,
    actor.session.issuer AS profile,

    ip_address(src_endpoint.ip) AS sourceIP,
    lower(src_endpoint.location.city) AS city,
    lower(src_endpoint.location.region) AS region,
    country_code(src_endpoint.location.country) AS country,
    location_id(lower(src_endpoint.location.city), country_code(src_endpoint.location.country),
                lower(src_endpoint.location.region)) AS locationId,
    src_endpoint.autonomous_system.number AS asn,
    translate(lower(src_endpoint.autonomous_system.name), ',', '') AS asnName,

    user_agent_name(http_request.user_agent) AS clientName,
    coalesce(device.os.name, user_agent_os(http_request.user_agent)) AS clientOS,
    user_agent_category(http_request.user_agent) AS clientCategory,
    coalesce(device.is_managed, device.is_compliant) AS deviceManaged,
    http_request.http_method AS httpMethod,
    split_part(http_request.url.url_string, '?', 1) AS url,

    coalesce(resources[1].uid, resources[1].name, file.uid,
             CASE WHEN class_uid <> 3002 THEN coalesce(user.uid, user.email_addr, user.name) END) AS targetId,
    CASE WHEN coalesce(resources[1].uid, resources[1].name) IS NOT NULL THEN resources[1].type
         WHEN file.uid IS NOT NULL THEN 'file'
         WHEN class_uid <> 3002 AND coalesce(user.uid, user.email_addr, user.name) IS NOT NULL THEN 'user' END AS targetType,
    CAST(array_length(resources) AS DOUBLE) AS noOfObjects,

    file.name AS fileName,
    coalesce(file.parent_folder, file.path) AS fileFolderPath,
    coalesce(file_extension(file.name), file.type) AS fileType,
    coalesce(file.owner.email_addr, file.owner.name) AS fileOwner,
    file.size AS fileSize,
    CASE WHEN class_uid = 6006 AND activity_id = 12 THEN true
         WHEN class_uid = 6006 AND activity_id = 13 THEN false END AS fileSharingEnabled,
    -- In and out are as its source sees it.
    CASE WHEN class_uid = 6006 AND activity_id = 2 THEN file.size ELSE traffic.bytes_in END AS downloadBytes,
    CASE WHEN class_uid = 6006 AND activity_id = 1 THEN file.size ELSE traffic.bytes_out END AS uploadBytes
FROM record
